"""What `convlab doctor` looks at: a function for each subject, from the machine as it is to findings."""
