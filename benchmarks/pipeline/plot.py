def plot(r): return ""
