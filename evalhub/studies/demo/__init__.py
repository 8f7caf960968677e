"""The demo study's material: real photographs that installed packages carry, and real 4x super-resolution methods."""
