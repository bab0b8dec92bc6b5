"""Margins: the inputs of effects of several inputs, and components: how their parts combine."""

from numpyro_splines.margins.base import AbstractMargin as AbstractMargin
from numpyro_splines.margins.curve import CurveMargin as CurveMargin
from numpyro_splines.margins.graph import GraphMargin as GraphMargin
from numpyro_splines.margins.group import GroupMargin as GroupMargin
from numpyro_splines.margins.surface import SurfaceMargin as SurfaceMargin
