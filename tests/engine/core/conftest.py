from wheels import patched, small, upstream, wheel

__all__ = ["patched", "small", "upstream", "wheel"]
