"""Pure array functions: the engine below every basis, curve and prior."""
