# SPDX-License-Identifier: MIT
"""Lets the tests of the soak find the harness of the integration tests."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'integration'))
sys.path.insert(0, str(Path(__file__).resolve().parent))
