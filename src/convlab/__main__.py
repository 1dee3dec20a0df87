"""`python -m convlab` is `convlab`."""

import sys

from convlab.cli.main import main

sys.exit(main())
