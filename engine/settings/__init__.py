"""What a bot is told: one TOML file as one frozen object, and keys that never show themselves.

Knows no venue beyond its name, opens no connection, and keeps secrets out of the settings.
"""

from __future__ import annotations

from engine.settings.live import live_summary, refuse_unsafe
from engine.settings.model import (
    AccountSettings,
    BotSettings,
    FeedSettings,
    ManifestSettings,
    OrderSettings,
    PaperSettings,
    VenueSettings,
)
from engine.settings.read import load_settings, parse_settings
from engine.settings.secret import Credentials, Secret, credential_names, load_credentials

__all__ = [
    "AccountSettings",
    "BotSettings",
    "Credentials",
    "FeedSettings",
    "ManifestSettings",
    "OrderSettings",
    "PaperSettings",
    "Secret",
    "VenueSettings",
    "credential_names",
    "live_summary",
    "load_credentials",
    "load_settings",
    "parse_settings",
    "refuse_unsafe",
]
