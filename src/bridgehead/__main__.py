"""`python -m bridgehead`."""

from bridgehead.cli.main import main

if __name__ == "__main__":
    main()
