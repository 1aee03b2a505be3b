"""The two pluggy markers, alone in a module so that importing them costs nothing."""

import pluggy

PROJECT = "le_bench"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
