"""``python -m sensord``."""

from sensord.cli import main

if __name__ == "__main__":
    main()
