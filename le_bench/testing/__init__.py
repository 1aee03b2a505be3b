"""What ships for plugin authors: planted worlds, conformance checks, a pytest plugin."""
