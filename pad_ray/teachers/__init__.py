"""Teachers: engines that write programs for problems, behind one protocol."""
