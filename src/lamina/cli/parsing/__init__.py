"""Commands with flags and arguments as Docker's users write them: Go's pflag, declared by decorators.

Every command pays for importing this, so what only help, completion and wrong command lines need is imported there.
"""
