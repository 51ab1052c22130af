"""Fit the prior to generated paths: settings, the loop, its log and the model card."""
