"""The ledger: rates are kept over any stretch of time, budgets stop, journals survive a kill."""

from __future__ import annotations
