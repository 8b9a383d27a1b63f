"""giftlib."""
