using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

[TestFixture]
public sealed class UserMemoryMapTests
{
    private const ulong Page = 4096;

    [Test]
    public void What_is_written_is_in_the_mapped_memory_and_read_back()
    {
        var map = new UserMemoryMap();
        byte[] memory = new byte[16];
        map.Map(Page, memory);
        Assert.That(map.TryWrite(Page + 4, [1, 2, 3]), Is.True);
        Assert.That(memory, Is.EqualTo(new byte[] { 0, 0, 0, 0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0 }));

        byte[] back = new byte[5];
        Assert.That(map.TryRead(Page + 3, back), Is.True);
        Assert.That(back, Is.EqualTo(new byte[] { 0, 1, 2, 3, 0 }));
    }

    [TestCase(0UL, 1, TestName = "NULL_faults")]
    [TestCase(Page - 1, 1, TestName = "The_byte_before_a_region_faults")]
    [TestCase(Page + 16, 1, TestName = "The_byte_after_a_region_faults")]
    [TestCase(Page + 15, 2, TestName = "An_access_that_leaves_a_region_faults")]
    [TestCase(Page - 1, 18, TestName = "An_access_around_a_region_faults")]
    [TestCase(ulong.MaxValue, 1, TestName = "The_last_address_faults")]
    [TestCase(ulong.MaxValue, 2, TestName = "An_access_that_wraps_around_faults")]
    public void Faults(ulong address, int length)
    {
        var map = new UserMemoryMap();
        map.Map(Page, new byte[16]);
        Assert.That(map.TryRead(address, new byte[length]), Is.False);
        Assert.That(map.TryWrite(address, new byte[length]), Is.False);
    }

    [Test]
    public void An_access_of_nothing_never_faults()
    {
        Assert.That(new UserMemoryMap().TryRead(0, []), Is.True);
        Assert.That(new UserMemoryMap().TryWrite(ulong.MaxValue, []), Is.True);
    }

    [Test]
    public void An_access_crosses_into_an_adjacent_region_in_whatever_order_they_were_mapped([Values] bool secondFirst)
    {
        var map = new UserMemoryMap();
        byte[] first = new byte[4];
        byte[] second = new byte[4];
        byte[] third = new byte[4];
        map.Map(secondFirst ? Page + 4 : Page, secondFirst ? second : first);
        map.Map(secondFirst ? Page : Page + 4, secondFirst ? first : second);
        map.Map(Page + 8, third);
        Assert.That(map.TryWrite(Page + 3, [1, 2, 3, 4, 5, 6]), Is.True);
        Assert.That((byte[][])[first, second, third], Is.EqualTo((byte[][])[[0, 0, 0, 1], [2, 3, 4, 5], [6, 0, 0, 0]]));

        byte[] back = new byte[12];
        Assert.That(map.TryRead(Page, back), Is.True);
        Assert.That(back, Is.EqualTo(new byte[] { 0, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0, 0 }));
    }

    [Test]
    public void An_access_over_a_gap_faults()
    {
        var map = new UserMemoryMap();
        map.Map(Page, new byte[4]);
        map.Map(Page + 5, new byte[4]);
        Assert.That(map.TryRead(Page, new byte[9]), Is.False);
        Assert.That(map.TryWrite(Page, new byte[9]), Is.False);
    }

    [Test]
    public void A_read_only_region_can_be_read_and_faults_when_written()
    {
        var map = new UserMemoryMap();
        byte[] memory = [1, 2, 3, 4];
        map.Map(Page, memory, writable: false);
        byte[] back = new byte[4];
        Assert.That(map.TryRead(Page, back), Is.True);
        Assert.That(back, Is.EqualTo(memory));
        Assert.That(map.TryWrite(Page, [9]), Is.False);
        Assert.That(memory, Is.EqualTo(new byte[] { 1, 2, 3, 4 }));
    }

    [Test]
    public void A_write_that_runs_into_a_read_only_region_faults()
    {
        var map = new UserMemoryMap();
        byte[] guarded = new byte[4];
        map.Map(Page, new byte[4]);
        map.Map(Page + 4, guarded, writable: false);
        Assert.That(map.TryWrite(Page + 2, [1, 2, 3, 4]), Is.False);
        Assert.That(guarded, Is.All.Zero);
    }

    [TestCase(Page, 16, TestName = "The_same_region_twice_is_refused")]
    [TestCase(Page + 15, 1, TestName = "A_region_over_the_last_byte_of_another_is_refused")]
    [TestCase(Page - 1, 2, TestName = "A_region_over_the_first_byte_of_another_is_refused")]
    [TestCase(Page - 8, 64, TestName = "A_region_around_another_is_refused")]
    [TestCase(Page + 4, 4, TestName = "A_region_inside_another_is_refused")]
    [TestCase(0UL, 4, TestName = "A_region_at_NULL_is_refused")]
    [TestCase(2 * Page, 0, TestName = "An_empty_region_is_refused")]
    [TestCase(ulong.MaxValue - 2, 4, TestName = "A_region_beyond_the_last_address_is_refused")]
    public void Refusals(ulong address, int length)
    {
        var map = new UserMemoryMap();
        byte[] memory = new byte[16];
        map.Map(Page, memory);
        Assert.That(() => map.Map(address, new byte[length]), Throws.ArgumentException);
        Assert.That(map.TryWrite(Page, [7]), Is.True);
        Assert.That(memory[0], Is.EqualTo(7));
    }

    [Test]
    public void A_region_can_end_just_before_the_last_address()
    {
        var map = new UserMemoryMap();
        map.Map(ulong.MaxValue - 4, new byte[4]);
        Assert.That(map.TryWrite(ulong.MaxValue - 4, [1, 2, 3, 4]), Is.True);
        Assert.That(map.TryRead(ulong.MaxValue - 1, new byte[1]), Is.True);
        Assert.That(map.TryRead(ulong.MaxValue - 1, new byte[2]), Is.False);
    }

    [Test]
    public void An_unmapped_region_faults_and_its_place_is_free()
    {
        var map = new UserMemoryMap();
        map.Map(Page, new byte[4]);
        map.Map(Page + 4, new byte[4]);
        Assert.That(map.Unmap(Page + 1), Is.False);
        Assert.That(map.Unmap(Page), Is.True);
        Assert.That(map.Unmap(Page), Is.False);
        Assert.That(map.TryRead(Page, new byte[1]), Is.False);
        Assert.That(map.TryRead(Page + 4, new byte[4]), Is.True);
        Assert.That(() => map.Map(Page, new byte[4]), Throws.Nothing);
    }

    [Test]
    public void Accesses_go_on_while_other_regions_come_and_go()
    {
        var map = new UserMemoryMap();
        map.Map(Page, new byte[64]);
        int faults = 0;
        using var stop = new CancellationTokenSource();
        var reader = new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                faults += map.TryRead(Page, new byte[64]) ? 0 : 1;
            }
        });
        reader.Start();
        for (int i = 0; i < 5000; i++)
        {
            map.Map((2 * Page) + ((ulong)(i % 7) * 64), new byte[64]);
            map.Unmap((2 * Page) + ((ulong)(i % 7) * 64));
        }

        stop.Cancel();
        reader.Join();
        Assert.That(faults, Is.Zero);
    }
}
