"""What sources of probe datasets share: images, splits and presence from labels."""
