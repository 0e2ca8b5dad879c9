namespace Abuse.Core;

/// <summary>
/// A bio as a channel hands it to a server. Answer it with <see cref="Complete"/> or give it up with <see cref="Abandon"/>, once; until
/// then its memory is the server's (B3).
/// </summary>
/// <remarks>
/// Thread-safe as far as the state goes: of several answers one is accepted. A copy of the struct is the same delivery.
/// </remarks>
public readonly struct BioRequest : IEquatable<BioRequest>
{
    private readonly Delivery? _delivery;
    private readonly ulong _version;

    internal BioRequest(Delivery delivery)
    {
        _delivery = delivery;
        _version = delivery.Version;
        Head = delivery.Head;
    }

    /// <summary>The bio without its memory.</summary>
    public BioHead Head { get; }

    /// <summary>The bio's id: never 0, never repeated in the device's life.</summary>
    public ulong Id => Head.Id;

    /// <summary>What is asked.</summary>
    public BioOp Op => Head.Op;

    /// <summary>Bytes from the start of the device.</summary>
    public long Offset => Head.Offset;

    /// <summary>Bytes.</summary>
    public long Length => Head.Length;

    /// <summary>Whether a write must be durable before it is answered.</summary>
    public bool Fua => Head.Fua;

    /// <summary>
    /// The memory of this delivery: to be filled for a read (its contents before are arbitrary), holding the bytes of a write (not to be
    /// changed), empty otherwise. Stable until the request is answered or abandoned, even if another server overtakes this one (B3).
    /// </summary>
    /// <exception cref="InvalidOperationException">The request was answered or abandoned, or is a default value.</exception>
    public Memory<byte> Data
    {
        get
        {
            Delivery delivery = Required();
            Memory<byte> memory = delivery.Memory;

            // What was read is this request's only if the request is still open after it was read.
            Volatile.ReadBarrier();
            return delivery.IsOpen(_version)
                ? memory
                : throw new InvalidOperationException($"{Head} was answered or abandoned: its memory is no longer this server's.");
        }
    }

    /// <summary>
    /// Cancelled when somebody else settled the bio or the channel ended, so that the work may be dropped. Asking for it takes a lock;
    /// a server that does not work long need not. Once the request is answered or abandoned callbacks on it are gone, and a token that was kept means nothing.
    /// </summary>
    public CancellationToken Overtaken => Required().GetOvertakenToken(_version);

    internal Delivery? Delivery => _delivery;

    internal ulong Version => _version;

    /// <summary>Answers the bio: with <see cref="BioResult.Ok"/> a read's <see cref="Data"/> goes to the submitter.</summary>
    /// <param name="result">
    /// The outcome. <see cref="BioResult.DeviceFailure"/> fails every other pending bio of the device too.
    /// </param>
    /// <returns>Whether the answer counted.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The result is not an outcome; the request is still open.</exception>
    /// <exception cref="InvalidOperationException">The request is a default value.</exception>
    public AnswerResult Complete(BioResult result)
    {
        Delivery delivery = Required();
        if (!result.IsOutcome())
        {
            throw new ArgumentOutOfRangeException(nameof(result), result, "A bio is answered with an outcome: Ok, or a failure.");
        }

        return delivery.Queue.Answer(delivery, _version, result);
    }

    /// <summary>
    /// Gives the request up: the bio comes to this channel again, behind what waits there. Nothing happens if it was answered.
    /// </summary>
    /// <exception cref="InvalidOperationException">The request is a default value.</exception>
    public void Abandon()
    {
        Delivery delivery = Required();
        delivery.Queue.Abandon(delivery, _version);
    }

    /// <inheritdoc/>
    public bool Equals(BioRequest other) => _delivery == other._delivery && _version == other._version;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is BioRequest other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(_delivery, _version);

    /// <summary>Whether both are the same delivery.</summary>
    public static bool operator ==(BioRequest left, BioRequest right) => left.Equals(right);

    /// <summary>Whether both are different deliveries.</summary>
    public static bool operator !=(BioRequest left, BioRequest right) => !left.Equals(right);

    /// <inheritdoc/>
    public override string ToString() => _delivery is null ? "no request" : Head.ToString();

    private Delivery Required() => _delivery ?? throw new InvalidOperationException("A default BioRequest is no request.");
}
