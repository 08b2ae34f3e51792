"""How a program is run, whoever runs it: which steps go together, in which blocks, and where their values live."""
