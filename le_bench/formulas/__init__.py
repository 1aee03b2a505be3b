"""The numerical core: calibration, simulation, correlation."""
