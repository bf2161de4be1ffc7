"""Who stands still: what /proc and the kernel's table of sockets say of a target, looked at once a second or two."""
