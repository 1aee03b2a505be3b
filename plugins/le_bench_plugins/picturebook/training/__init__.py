"""Scripts that make the weights shipped with the Picturebook: tokenizer, targets and encoders."""
