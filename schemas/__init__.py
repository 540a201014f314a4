"""What crosses a wire: notices, records, returns, connections and problems. Data only."""
