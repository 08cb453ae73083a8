"""Monte Carlo of the processes that theory describes, under its names: exact in law, jitted and vmapped over seeds.

dae         a linear denoising autoencoder trained on its own outputs: from second moments (`reduced`) or samples
            (`direct`)
flow        a linear rectified flow trained on its own samples, from second moments
resampling  a Gaussian, or the shares of words, refitted to own samples
regression  least squares refitted to its own predictions
fit         linear denoisers fitted by gradient descent and least squares, which know no closed form
"""
