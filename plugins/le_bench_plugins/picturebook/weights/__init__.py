"""The trained weights of the Picturebook's targets and encoders; see README.md for the card."""
