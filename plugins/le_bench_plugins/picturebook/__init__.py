"""The Picturebook: a drawn world with its probe dataset, target models and encoders."""
