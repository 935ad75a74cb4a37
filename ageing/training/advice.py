"""Warnings about the balance of the losses, each with the key to change."""

DOMINATES = 0.8   # share of the generators' loss above which a term is said to dominate
DEAD = 0.01       # below this a discriminator's gradient is uninformative


def shares(losses, weights):
    """{term: share of the generators' weighted loss}. losses: {name: value}; weights: of Recipe.weights."""
    parts = {term: weight * (losses.get(f"{term}_AB", 0.0) + losses.get(f"{term}_BA", 0.0))
             for term, weight in weights.items()}
    total = sum(parts.values()) or 1.0
    return {term: part / total for term, part in parts.items()}


def advice(share, losses, keys, scales=1):
    """[(kind, sentence)] for everything in `share` and `losses` that a practitioner would act on.

    keys: {term: key of its weight}. scales: PatchGANs per discriminator. Their losses are added up, so each is judged
    by its part.
    """
    found = []
    for term, key in keys.items():
        if share[term] > DOMINATES:
            found.append((term, f"the {term} term is {share[term]:.0%} of the generators' loss: faces will hardly "
                                f"change; lower {key}"))
    one = share["adversarial"] / scales
    if one > DOMINATES * (one + 1 - share["adversarial"]):
        found.append(("adversarial", f"the adversarial term is {share['adversarial']:.0%} of the generators' loss: "
                                     f"faces may become other people; raise {keys['cycle']}"))
    for name in ("d_A", "d_B"):
        one = losses[name] / scales
        if one < DEAD:
            found.append((name, f"the loss of {name} fell to {one:.4f}: it tells real from translated faces "
                                "perfectly, so its gradient is uninformative; lower adversary.steps, or set "
                                "adversary.augment=true"))
    return found
