using System.Reflection;
using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>
/// Every number of the interface. The lists are whole: a constant or a value that is added without a line here fails, as does one that is gone.
/// </summary>
[TestFixture]
public sealed class AbuseNumberTests
{
    [Test]
    public void The_constants_are_those_of_2009()
    {
        Dictionary<string, long> expected = new()
        {
            ["GetStatus"] = 0x4120,
            ["SetStatus"] = 0x4121,
            ["SetPoll"] = 0x4122,
            ["Reset"] = 0x4123,
            ["GetBio"] = 0x4124,
            ["PutBio"] = 0x4125,
            ["BlockMajor"] = 60,
            ["ControlMajor"] = 61,
            ["MinorBits"] = 20,
            ["SectorSize"] = 512,
            ["MaxVectors"] = 256,
            ["MaxVectorLength"] = 4096,
            ["MaxBioLength"] = 1 << 20,
            ["MaxQueueLimit"] = 512,
            ["PollMessage"] = 0x400,
        };
        Dictionary<string, long> found = typeof(AbuseIoctl).GetFields(BindingFlags.Public | BindingFlags.Static)
            .ToDictionary(field => field.Name, field => Convert.ToInt64(field.GetRawConstantValue(), null));
        Assert.That(found, Is.EquivalentTo(expected));
    }

    [Test]
    public void The_flags_are_those_of_2009() =>
        AssertValues<AbuseFlags>(("None", 0), ("ReadOnly", 1), ("Reconnect", 2));

    [Test]
    public void The_commands_are_those_of_2009() =>
        AssertValues<AbuseCommand>(("Read", 0), ("Write", 1), ("SyncNotification", 2));

    [Test]
    public void The_answers_are_those_of_2009() =>
        AssertValues<AbuseAnswer>(("Okay", 0), ("MediaFailure", 1), ("DeviceFailure", 2));

    [Test]
    public void The_errors_are_those_of_Linux() => AssertValues<Errno>(
        ("None", 0), ("EIO", 5), ("ENXIO", 6), ("EFAULT", 14), ("EBUSY", 16), ("ENODEV", 19), ("EINVAL", 22), ("EFBIG", 27), ("ENOSPC", 28),
        ("ENOMSG", 42), ("EOPNOTSUPP", 95), ("ETIMEDOUT", 110), ("EINPROGRESS", 115), ("ECANCELED", 125));

    [Test]
    public void Fields_of_the_structs_are_words_of_32_bits() => Assert.Multiple(() =>
    {
        Assert.That(Enum.GetUnderlyingType(typeof(AbuseFlags)), Is.EqualTo(typeof(uint)));
        Assert.That(Enum.GetUnderlyingType(typeof(AbuseCommand)), Is.EqualTo(typeof(uint)));
        Assert.That(Enum.GetUnderlyingType(typeof(AbuseAnswer)), Is.EqualTo(typeof(uint)));
    });

    private static void AssertValues<T>(params (string Name, long Value)[] expected)
        where T : struct, Enum =>
        Assert.That(Enum.GetValues<T>().Select(value => (value.ToString(), Convert.ToInt64(value, null))), Is.EquivalentTo(expected));
}
