"""Prompt sets, identity questions and templates, with their loaders."""
