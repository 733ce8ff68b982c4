"""The version of Sakuga."""

VERSION = "0.1.0"
