"""The process beside each container: it holds the terminal or pipes, the log and the exit status.

Everything here runs in processes forked from a small server that loads no third-party package, so these files import
only the standard library and `lamina.linux`.
"""
