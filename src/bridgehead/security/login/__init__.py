"""Who is it? Proofs, chains, brakes."""
