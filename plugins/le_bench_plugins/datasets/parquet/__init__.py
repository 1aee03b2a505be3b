"""Probe datasets in parquet files, as Hugging Face writes them."""
