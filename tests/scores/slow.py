"""Every score once more, slowly: from its formula, in float64, with no line of the package."""

import numpy as np
from scipy import stats
from scipy.optimize import minimize

# N images, D features, C classes, Z classes of the pretrained classifier


def means_of(x, y):
    return np.array([np.mean([row for row, label in zip(x, y, strict=True) if label == c], axis=0)
                     for c in sorted(set(y.tolist()))])


def cov(x):
    centred = x - x.mean(axis=0)
    return sum(np.outer(row, row) for row in centred) / (len(x) - 1)


def h_score(x, y):
    return float(np.trace(np.linalg.pinv(cov(x), rcond=1e-10, hermitian=True) @ cov(means_of(x, y)[y])))


def ledoit_wolf(x):
    """Lemma 3.2 to 3.5 of the paper: the distance of each image's own outer product from their mean."""
    n, d = x.shape
    centred = x - x.mean(axis=0)
    s = sum(np.outer(row, row) for row in centred) / n
    mu = np.trace(s) / d
    delta = ((s - mu * np.eye(d))**2).sum() / d
    beta = sum(((np.outer(row, row) - s)**2).sum() for row in centred) / n**2 / d
    a = 0.0 if delta <= 0 else min(beta, delta) / delta
    return a, (1 - a) * s + a * mu * np.eye(d)


def regularized_h_score(x, y):
    a, shrunk = ledoit_wolf(x)
    return float(np.trace(np.linalg.pinv(shrunk, rcond=1e-12, hermitian=True) @ ((1 - a) * cov(means_of(x, y)[y]))))


def nce(theta, y):
    n, z = len(y), [int(np.argmax(row)) for row in theta]
    total = 0.0
    for label in set(y.tolist()):
        for named in set(z):
            both = sum(a == label and b == named for a, b in zip(y, z, strict=True)) / n
            if both:
                total += both * np.log(both / (z.count(named) / n))
    return total


def leep(theta, y):
    n, total = len(y), 0.0
    joint = {(label, k): sum(theta[i, k] for i in range(n) if y[i] == label) / n
             for label in set(y.tolist()) for k in range(theta.shape[1])}
    marginal = [sum(joint[label, k] for label in set(y.tolist())) for k in range(theta.shape[1])]
    for i in range(n):
        total += np.log(sum(joint[y[i], k] / marginal[k] * theta[i, k]
                            for k in range(theta.shape[1]) if marginal[k] > 0))
    return total / n


def logme_of(x, t):
    """Algorithm 1 with the fixed point of at most 11 rounds."""
    n, d = x.shape
    u, values, _ = np.linalg.svd(x, full_matrices=True)
    s = np.concatenate([values**2, np.zeros(max(0, d - n))])
    xi = np.concatenate([u.T @ t, np.zeros(max(0, d - n))])[:d]
    outside = t @ t - sum(v**2 for v in xi)
    a = b = 1.0
    for _ in range(11):
        ratio = a / b
        gamma = sum(s / (s + ratio))
        m2 = sum(s * xi**2 / (ratio + s)**2)
        r2 = sum(xi**2 / (1 + s / ratio)**2) + outside
        a, b = gamma / m2, (n - gamma) / r2
        if abs(a / b - ratio) / ratio <= 1e-3:
            break
    ratio = a / b
    m2 = sum(s * xi**2 / (ratio + s)**2)
    r2 = sum(xi**2 / (1 + s / ratio)**2) + outside
    return (d / 2 * np.log(a) + n / 2 * np.log(b) - sum(np.log(a + b * s)) / 2 - b / 2 * r2 - a / 2 * m2
            - n / 2 * np.log(2 * np.pi)) / n


def logme(x, y):
    return float(np.mean([logme_of(x, (y == c).astype(float)) for c in sorted(set(y.tolist()))]))


def best_evidence(x, t):
    """The highest log density, over alpha and beta, of t under N(0, XX'/alpha + I/beta), divided by N."""
    def negative(logs):
        covariance = x @ x.T * np.exp(-logs[0]) + np.eye(len(x)) * np.exp(-logs[1])
        return -stats.multivariate_normal(np.zeros(len(x)), covariance, allow_singular=False).logpdf(t)
    found = [minimize(negative, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9, "maxiter": 2000})
             for start in ([0.0, 0.0], [3.0, 2.0])]
    return -min(result.fun for result in found) / len(x)


def trans_rate(x, y, epsilon=1e-4):
    x = x - x.mean(axis=0)

    def rate(z):
        return np.log(np.linalg.eigvalsh(np.eye(x.shape[1]) + z.T @ z / (len(z) * epsilon))).sum() / 2
    return float(rate(x) - sum(np.mean(y == c) * rate(x[y == c]) for c in set(y.tolist())))


def pca(x, width):
    centred = x - x.mean(axis=0)
    return centred @ np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :width]


def gbc(x, y, spherical=False, floor=1e-6):
    classes, total = sorted(set(y.tolist())), 0.0
    variances = {c: x[y == c].var(axis=0) + floor for c in classes}
    if spherical:
        variances = {c: np.full(x.shape[1], v.mean()) for c, v in variances.items()}
    for i in classes:
        for j in classes:
            if i != j:
                shared = (variances[i] + variances[j]) / 2
                d = x[y == i].mean(axis=0) - x[y == j].mean(axis=0)
                distance = sum(d * d / shared) / 8 + sum(
                    np.log(shared / np.sqrt(variances[i] * variances[j]))) / 2
                total -= np.exp(-distance)
    return float(total)


def parc(x, targets):
    """targets [N, C]. Spearman on distances that tie exactly: each pair by itself, rounded."""
    spread = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)

    def distances(rows):
        return [round(1 - np.corrcoef(rows[i], rows[j])[0, 1], 12)
                for i in range(len(rows)) for j in range(i + 1, len(rows))]
    return 100 * stats.spearmanr(distances(x), distances(targets)).statistic


def naive_parc(x, y):
    """As it is often written: equal distances differ by the rounding of corrcoef."""
    upper = np.triu_indices(len(x), k=1)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    far, differ = (1 - np.corrcoef(rows)[upper] for rows in (x, np.eye(y.max() + 1)[y]))
    return 100 * stats.spearmanr(far, differ).statistic


def discriminant(x, y, lam=None):
    """Shrinkage and [N, C] probabilities of the regularised Fisher discriminant, in all D directions."""
    n, d = x.shape
    means, share, mean = means_of(x, y), np.bincount(y) / n, x.mean(axis=0)
    within = sum(np.outer(row - means[label], row - means[label]) for row, label in zip(x, y, strict=True)) / n
    between = sum(p * np.outer(m - mean, m - mean) for p, m in zip(share, means, strict=True))
    if lam is None:
        lam = max(np.exp(-5 * np.linalg.eigvalsh(within)[-1]), 1e-10)
    within = (1 - lam) * within + lam * np.trace(within) / d * np.eye(d)
    root = np.linalg.inv(np.linalg.cholesky(within))
    axes = root.T @ np.linalg.eigh(root @ between @ root.T)[1][:, ::-1][:, :len(share) - 1]
    logits = np.array([[row @ axes @ axes.T @ m - m @ axes @ axes.T @ m / 2 + np.log(p)
                        for m, p in zip(means - mean, share, strict=True)] for row in x - mean])
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    return lam, chances / chances.sum(axis=1, keepdims=True)


def sfda(x, y):
    lam, first = discriminant(x, y)
    # Softened by a second softmax, as the authors' code does.
    first = np.exp(first) / np.exp(first).sum(axis=1, keepdims=True)
    mixed = np.array([first[i, y[i]] * x[i] + (1 - first[i, y[i]]) * x[y != y[i]].mean(axis=0) for i in range(len(x))])
    return float(np.mean(discriminant(mixed, y, lam)[1][np.arange(len(x)), y]))


def knn(x, y, k=5, temperature=0.07, groups=None):
    groups = range(len(x)) if groups is None else groups
    x, right = x - x.mean(axis=0), 0.0
    for i in range(len(x)):
        cosines = sorted(((round(x[i] @ x[j] / np.linalg.norm(x[i]) / np.linalg.norm(x[j]), 12), -j)
                          for j in range(len(x)) if groups[j] != groups[i]), reverse=True)[:k]
        votes = np.zeros(y.max() + 1)
        for cosine, j in cosines:
            votes[y[-j]] += np.exp(cosine / temperature)
        winners = np.flatnonzero(votes >= votes.max() * (1 - 1e-12))
        right += (y[i] in winners) / len(winners)
    return right / len(x)
