"""Measurements, the engines they compare with, and their reports. Nothing imports from here but `commands`."""
