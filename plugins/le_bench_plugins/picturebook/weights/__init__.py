"""The trained weights of the Picturebook's targets, encoders and captioner; see README.md."""
