"""Run the command line, then write the names of all loaded modules to a file.

python modules_at_exit.py NAMES.txt render BUNDLE "1girl" --out DIR
"""

import sys

from sakuga.__main__ import main

try:
    main(sys.argv[2:])
finally:
    with open(sys.argv[1], "w", encoding="utf-8") as file:  # noqa: PTH123 (loads nothing more)
        file.write("\n".join(sorted(sys.modules)))
