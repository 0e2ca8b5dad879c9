namespace Abuse.Core;

/// <summary>A peer sent what it must not: the connection ends, and says why. Never leaves the connection.</summary>
internal sealed class PeerFaultException(string message) : Exception(message);
