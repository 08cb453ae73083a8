"""Self-training of a linear denoising autoencoder as one would write it in NumPy: draw, fit, pass through, repeat."""

import numpy as np


def simulate(rng, covariance, noise_std, rounds, samples):
    """One run of X_{j+1} = W_j (X_j + σ E_j), samples in rows: eigenvalues (rounds+1, d) and gains (rounds+1,)."""
    dimension = len(covariance)
    data = rng.standard_normal((samples, dimension)) @ np.linalg.cholesky(covariance).T
    eigenvalues, gains = [], []
    for j in range(rounds + 1):
        if j > 0:
            data = (data + noise_std * rng.standard_normal(data.shape)) @ fitted.T
        moment = data.T @ data / samples
        fitted = moment @ np.linalg.inv(moment + noise_std**2 * np.eye(dimension))
        eigenvalues.append(np.linalg.eigvalsh(moment)[::-1])
        gains.append(np.linalg.norm(fitted, 2))
    return np.array(eigenvalues), np.array(gains)
