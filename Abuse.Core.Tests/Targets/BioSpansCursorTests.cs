using NUnit.Framework;

namespace Abuse.Core.Tests;

[TestFixture]
public sealed class BioSpansCursorTests
{
    [Test]
    public void Bytes_are_taken_across_pieces_in_order()
    {
        Memory<byte>[] pieces = [new byte[] { 1, 2, 3 }, Memory<byte>.Empty, new byte[] { 4 }, new byte[] { 5, 6 }];
        var cursor = new BioSpansCursor(new BioSpans(pieces));
        byte[] taken = new byte[6];
        cursor.CopyTo(taken.AsSpan(0, 2));
        cursor.CopyTo(taken.AsSpan(2, 3));
        cursor.CopyTo(taken.AsSpan(5, 1));
        Assert.That(taken, Is.EqualTo(new byte[] { 1, 2, 3, 4, 5, 6 }));
    }

    [Test]
    public void Bytes_are_stored_and_cleared_across_pieces()
    {
        byte[] all = [9, 9, 9, 9, 9, 9];
        Memory<byte>[] pieces = [all.AsMemory(0, 1), all.AsMemory(1, 4), all.AsMemory(5)];
        var cursor = new BioSpansCursor(new BioSpans(pieces));
        cursor.CopyFrom([1, 2]);
        cursor.Clear(2);
        cursor.CopyFrom([3, 4]);
        Assert.That(all, Is.EqualTo(new byte[] { 1, 2, 0, 0, 3, 4 }));
    }

    [Test]
    public void A_copy_goes_on_by_itself()
    {
        var cursor = new BioSpansCursor(new BioSpans(new byte[] { 1, 2, 3 }));
        BioSpansCursor before = cursor;
        byte[] taken = new byte[2];
        cursor.CopyTo(taken);
        before.CopyTo(taken);
        Assert.That(taken, Is.EqualTo(new byte[] { 1, 2 }));
    }

    [Test]
    public void Taking_more_than_there_is_is_an_error() => Assert.That(TakeTooMuch, Throws.InstanceOf<ArgumentOutOfRangeException>());

    private static void TakeTooMuch()
    {
        var cursor = new BioSpansCursor(new BioSpans(new byte[] { 1, 2, 3 }));
        cursor.CopyTo(new byte[4]);
    }
}
