"""Program -> Report, its trace, and all that stands around a Report."""
