"""What gunicorn serves."""

import os
import sys

from bank.app import create_app
from bank.settings import SettingsRefused
from bank.start import settings_for_serving

try:
    app = create_app(settings_for_serving(os.environ))
except SettingsRefused as refused:
    # gunicorn's exit code 4 (APP_LOAD_ERROR): the master stops instead of starting workers again and again.
    print("The bank does not open:", *refused.problems, sep="\n  ", file=sys.stderr)
    sys.exit(4)
