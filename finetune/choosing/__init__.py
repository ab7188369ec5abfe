"""Which recipe suits these images on this machine."""
