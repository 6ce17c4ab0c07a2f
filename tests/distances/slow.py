"""Every distance once more, slowly: from its formula, in float64, with no line of the package."""

import numpy as np
from scipy.linalg import sqrtm
from scipy.stats import wasserstein_distance
from sklearn.linear_model import LogisticRegression

# N and M images, D features


def frechet(x, y):
    """As it stands, with its bias."""
    one, two = np.cov(x.T), np.cov(y.T)
    return float(((x.mean(0) - y.mean(0))**2).sum() + np.trace(one + two - 2 * sqrtm(one @ two).real))


def gaussians_apart(mean, covariance, other_mean, other):
    root = sqrtm(covariance).real
    return float(((mean - other_mean)**2).sum() + np.trace(covariance + other - 2 * sqrtm(root @ other @ root).real))


def kernel(x, y, scale):
    return np.exp(-sum((a - b)**2 for a, b in zip(x, y, strict=True)) / (2 * scale**2))


def median_distance(points):
    return float(np.median([np.linalg.norm(points[i] - points[j])
                            for i in range(len(points)) for j in range(i + 1, len(points))]))


def mmd(x, y):
    scale = median_distance(np.concatenate([x, y]))
    within = [np.mean([kernel(p[i], p[j], scale) for i in range(len(p)) for j in range(len(p)) if i != j])
              for p in (x, y)]
    return float(sum(within) - 2 * np.mean([kernel(a, b, scale) for a in x for b in y]))


def mmd_of_gaussians(shift, scale):
    """Squared MMD of N(0, I) and N(shift, I) with the kernel exp(-d^2 / (2 scale^2)), in closed form."""
    ratio = scale**2 / (scale**2 + 2)
    return 2 * ratio**(len(shift) / 2) * (1 - np.exp(-(shift @ shift) / (2 * (scale**2 + 2))))


def coral(x, y):
    return float(((np.cov(x.T) - np.cov(y.T))**2).sum() / (4 * x.shape[1]**2))


def squared_transport(x, y):
    """Each value as often as makes the sets equally large, then sorted pairs."""
    return float(np.mean((np.sort(np.repeat(x, len(y))) - np.sort(np.repeat(y, len(x))))**2))


def transport(x, y):
    return wasserstein_distance(x, y)


def domain_error(x, y, l2):
    """Held-out error of telling even rows apart by odd rows and the other way round, by scikit-learn itself."""
    points, labels = np.concatenate([x, y]), np.repeat([0, 1], [len(x), len(y)])
    points = (points - points.mean(0)) / np.sqrt(points.var(0).mean())
    half = np.concatenate([np.arange(len(x)), np.arange(len(y))]) % 2 == 0
    fitted = [LogisticRegression(C=1 / (l2 * rows.sum()), max_iter=1000).fit(points[rows], labels[rows])
              for rows in (half, ~half)]
    return 1 - np.mean([fitted[0].score(points[~half], labels[~half]), fitted[1].score(points[half], labels[half])])
