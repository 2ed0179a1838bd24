"""JSON Web Tokens that speak for devices: verification is pure, keys are fetched beside it."""
