"""What the platforms that send people say when one comes, and are told when she leaves: their contracts, no more."""
