"""The same picture more than once: found, and kept from standing in two parts."""
