"""Monte Carlo of the processes that theory describes, jitted and vmapped over seeds."""
