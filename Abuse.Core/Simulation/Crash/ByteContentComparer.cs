namespace Abuse.Core;

/// <summary>Compares bytes by what they are.</summary>
internal sealed class ByteContentComparer : IEqualityComparer<byte[]>, IEqualityComparer<ReadOnlyMemory<byte>>
{
    private static readonly ByteContentComparer Instance = new();

    internal static IEqualityComparer<T> For<T>() => Instance as IEqualityComparer<T> ?? EqualityComparer<T>.Default;

    public bool Equals(byte[]? x, byte[]? y) => ReferenceEquals(x, y) || (x is not null && y is not null && x.AsSpan().SequenceEqual(y));

    public bool Equals(ReadOnlyMemory<byte> x, ReadOnlyMemory<byte> y) => x.Span.SequenceEqual(y.Span);

    public int GetHashCode(byte[] obj) => GetHashCode(obj.AsMemory());

    public int GetHashCode(ReadOnlyMemory<byte> obj)
    {
        var hash = new HashCode();
        hash.AddBytes(obj.Span);
        return hash.ToHashCode();
    }
}
