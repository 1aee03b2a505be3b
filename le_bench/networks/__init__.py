"""What sources of networks share: layers, recording, embedding, weights, preprocessing."""
